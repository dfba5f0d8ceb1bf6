"""Campaigns as data: templates, the ladder of tones, and in which campaign a chosen message goes out, or why not."""
