"""Floor 2: the kit that makes an app a resource server."""
