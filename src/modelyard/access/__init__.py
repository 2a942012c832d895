"""Who is asking, and what may they do: credentials, identities and the policy. Pure; knows no database and no HTTP."""
