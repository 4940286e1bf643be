"""Server 3: serves the SPA and the BFF endpoints."""
