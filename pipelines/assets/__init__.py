"""The assets by stage. An asset takes the partition and the institution, calls one step and returns metadata."""
