"""Web pages: what a person does in a browser, by the services that the APIs call."""
