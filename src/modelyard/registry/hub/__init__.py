"""What Hugging Face's clients ask for by repository, revision and commit."""
