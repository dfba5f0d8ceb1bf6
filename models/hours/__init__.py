"""Who answers when: reach by hour and weekday, and the best hour of a contact."""
