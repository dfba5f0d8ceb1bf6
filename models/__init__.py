"""Machine learning only: estimators, datasets, evaluation, registry and the laboratory. Imports the kernel."""
