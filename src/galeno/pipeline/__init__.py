"""The only room that knows every stage: run, score, load; each step resumable and callable alone."""
