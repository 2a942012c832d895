"""Files of versions, candidates and logged models: where they are, and how bytes come in and go out."""
