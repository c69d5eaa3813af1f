-- job, destination, JSON of how it stands; a job without a record stays without
set_destination(unpack(ARGV))
