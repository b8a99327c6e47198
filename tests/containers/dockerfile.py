NEEDS = ["docker"]
