"""`fit` as estimators of scikit-learn."""
