"""Files and folders as users have them: every command walks, opens and finds them through these few functions."""
