"""Streamlit only: pages over the published snapshot. Imports the kernel."""
