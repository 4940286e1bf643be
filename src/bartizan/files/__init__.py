"""Server 5: uploads and downloads that belong to someone."""
