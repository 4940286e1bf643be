"""Pages that lead to a session: sign-in, sign-up, verification, consent."""
