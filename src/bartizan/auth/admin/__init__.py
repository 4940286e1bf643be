"""The console for administrators."""
