"""Who comes in, and what is theirs: accounts, tokens, projects and their members, the trail of what they change."""
