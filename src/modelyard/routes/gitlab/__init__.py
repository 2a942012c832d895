"""GitLab's API under `/api/v4`: model files and packages, projects and members, users and tokens."""
