"""Black-box attacks over HTTP, one file each; they import nothing of ours."""
