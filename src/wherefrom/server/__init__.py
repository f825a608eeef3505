"""The service: an HTTP API, a page and the compatible APIs of others over one or more collections."""
