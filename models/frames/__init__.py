"""Estimators for notebooks: the models of the pipeline on any frame, with the conventions of scikit-learn."""
