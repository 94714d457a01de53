"""The leaderboard: built from job folders, ranked, compared, and put to the papers' claims."""
