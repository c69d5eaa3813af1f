-- lane: as if a step of it were done
succeeds(ARGV[1])
