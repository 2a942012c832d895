"""Uploads that go on after an interruption: one session inside, whatever protocol it is spoken to by."""
