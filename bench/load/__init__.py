"""What drives the servers: large transfers, small requests, and readers who take their time."""
