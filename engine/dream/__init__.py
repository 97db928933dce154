"""Dreams: the policy acts, the world model answers; episodes, trees and exact replay."""
