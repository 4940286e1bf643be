"""The dev inbox: mail is caught here instead of sent, and shown on a page. There is none in production."""
