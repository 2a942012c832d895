"""OAuth and OpenID Connect: id tokens of jobs, single sign-on of people, and devices."""
