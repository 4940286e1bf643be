"""One file a grant: parse, check, redeem."""
