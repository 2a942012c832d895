"""Models as repositories of Hugging Face's clients: names, revisions, commits and files."""
