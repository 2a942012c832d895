"""What is tried before there is a model: experiments, runs and what is logged to them. Knows no other subject."""
