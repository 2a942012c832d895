"""What is registered: models, their versions, the logged models and sources that versions are made from."""
