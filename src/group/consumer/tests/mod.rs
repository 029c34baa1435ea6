mod assigning;
mod schedules;
mod stories;
mod world;
