"""MLflow's REST API as GitLab serves it, under `/projects/:id/ml/mlflow/api/2.0/mlflow`."""
