"""What people work from: work lists per collector and message campaigns, as files that are built once."""
