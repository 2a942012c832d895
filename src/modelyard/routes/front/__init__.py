"""What every request passes before its face: its log line and id, the raw path, the gate, HEAD, the direct way."""
