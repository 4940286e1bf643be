"""Server 8: transactional jobs."""
