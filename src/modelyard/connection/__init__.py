"""HTTP/1.1 on the socket: uvicorn's protocol made strict, bulky and impatient."""
