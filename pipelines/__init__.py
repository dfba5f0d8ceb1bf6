"""Dagster only: thin assets, resources, checks, schedules and sensors. Imports the kernel and the models."""
