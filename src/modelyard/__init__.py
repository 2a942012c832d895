"""modelyard: a self-hosted model registry that speaks the APIs of GitLab, MLflow and Hugging Face."""

__version__ = "0.1.0"
