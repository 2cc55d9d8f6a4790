DROP TABLE filter_generations;
DROP TABLE filter_specs;
DROP FUNCTION candlewax_tell_filter_specs();
