"""The thresholds of the claims, chosen before any result was seen and the same for all of them."""

# Points between scores that count as equal: "matches", "at least as good".
MARGIN = 2.0
# The share of another effect up to which an effect counts as small: "marginal", "vanishes",
# "little benefit".
SMALL_SHARE = 0.25
# The share of the default's score that counts as "strong" (section 3.2, single-token prompts).
STRONG_SHARE = 0.9
