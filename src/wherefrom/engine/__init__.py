"""Where images, sightings and features are kept, and the indexes that find them.

An engine knows numbers and ids, and no pictures.
"""
