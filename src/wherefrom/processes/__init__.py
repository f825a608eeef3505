"""Child processes that read untrusted bytes, and that can be killed."""
