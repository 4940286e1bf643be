/** The session, by Bartizan's browser client. What this app knows of it is here, so that the rest knows only people. */
