"""Users, tokens, projects, members, and the audit trail."""
