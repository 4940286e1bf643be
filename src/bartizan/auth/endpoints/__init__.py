"""The protocol endpoints: HTTP in, a value of `protocol` out."""
