"""What is in a file, as far as somebody who looks wants to know: out of few of its bytes, whoever has written them."""
