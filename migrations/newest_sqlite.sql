CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE blobs (
	sha256 TEXT NOT NULL, 
	size INTEGER NOT NULL, 
	created_at INTEGER NOT NULL, damaged_at INTEGER, 
	CONSTRAINT pk_blobs PRIMARY KEY (sha256)
);
CREATE TABLE users (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	username TEXT NOT NULL, 
	username_key TEXT NOT NULL, 
	name TEXT NOT NULL, 
	email TEXT NOT NULL, 
	state TEXT NOT NULL, 
	admin BOOLEAN NOT NULL, 
	bot BOOLEAN NOT NULL, 
	created_at INTEGER NOT NULL, 
	CONSTRAINT uq_users_username_key UNIQUE (username_key)
);
CREATE TABLE projects (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	path TEXT NOT NULL, 
	namespace_path TEXT NOT NULL, 
	path_key TEXT NOT NULL, 
	description TEXT NOT NULL, 
	visibility TEXT NOT NULL, 
	creator_id INTEGER, 
	last_experiment_iid INTEGER NOT NULL, 
	last_candidate_iid INTEGER NOT NULL, 
	created_at INTEGER NOT NULL, 
	updated_at INTEGER NOT NULL, storage_limit INTEGER, default_experiment_id INTEGER, 
	CONSTRAINT fk_projects_creator_id FOREIGN KEY(creator_id) REFERENCES users (id) ON DELETE SET NULL, 
	CONSTRAINT uq_projects_path_key UNIQUE (path_key)
);
CREATE TABLE experiments (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	project_id INTEGER NOT NULL, 
	iid INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	user_id INTEGER, 
	created_at INTEGER NOT NULL, 
	updated_at INTEGER NOT NULL, 
	deleted_at INTEGER, 
	CONSTRAINT fk_experiments_project_id FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	CONSTRAINT fk_experiments_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE SET NULL, 
	CONSTRAINT uq_experiments_project_id_iid UNIQUE (project_id, iid), 
	CONSTRAINT uq_experiments_project_id_name UNIQUE (project_id, name)
);
CREATE TABLE members (
	project_id INTEGER NOT NULL, 
	user_id INTEGER NOT NULL, 
	access_level INTEGER NOT NULL, 
	expires_at INTEGER, 
	created_at INTEGER NOT NULL, provider_id INTEGER, 
	CONSTRAINT fk_members_project_id FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	CONSTRAINT fk_members_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE, 
	CONSTRAINT pk_members PRIMARY KEY (project_id, user_id)
);
CREATE TABLE tokens (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	user_id INTEGER NOT NULL, 
	project_id INTEGER, 
	kind TEXT NOT NULL, 
	name TEXT NOT NULL, 
	description TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	scopes TEXT NOT NULL, 
	created_at INTEGER NOT NULL, 
	expires_at INTEGER, 
	revoked_at INTEGER, last_used_at INTEGER, maker_id INTEGER, 
	CONSTRAINT fk_tokens_project_id FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	CONSTRAINT fk_tokens_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE, 
	CONSTRAINT uq_tokens_digest UNIQUE (digest)
);
CREATE TABLE experiment_tags (
	experiment_id INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT fk_experiment_tags_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (id) ON DELETE CASCADE, 
	CONSTRAINT pk_experiment_tags PRIMARY KEY (experiment_id, "key")
);
CREATE TABLE models (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	project_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	description TEXT NOT NULL, 
	user_id INTEGER, 
	default_experiment_id INTEGER NOT NULL, 
	created_at INTEGER NOT NULL, 
	updated_at INTEGER NOT NULL, 
	CONSTRAINT fk_models_default_experiment_id FOREIGN KEY(default_experiment_id) REFERENCES experiments (id), 
	CONSTRAINT fk_models_project_id FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	CONSTRAINT fk_models_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE SET NULL, 
	CONSTRAINT uq_models_default_experiment_id UNIQUE (default_experiment_id), 
	CONSTRAINT uq_models_project_id_name UNIQUE (project_id, name)
);
CREATE TABLE model_tags (
	model_id INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT fk_model_tags_model_id FOREIGN KEY(model_id) REFERENCES models (id) ON DELETE CASCADE, 
	CONSTRAINT pk_model_tags PRIMARY KEY (model_id, "key")
);
CREATE TABLE candidates (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	project_id INTEGER NOT NULL, 
	iid INTEGER NOT NULL, 
	eid TEXT NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	model_version_id INTEGER, 
	user_id INTEGER, 
	name TEXT NOT NULL, 
	status TEXT NOT NULL, 
	start_time INTEGER NOT NULL, 
	end_time INTEGER, 
	created_at INTEGER NOT NULL, 
	updated_at INTEGER NOT NULL, 
	deleted_at INTEGER, named_user TEXT, 
	CONSTRAINT fk_candidates_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (id) ON DELETE CASCADE, 
	CONSTRAINT fk_candidates_model_version_id FOREIGN KEY(model_version_id) REFERENCES model_versions (id) ON DELETE SET NULL, 
	CONSTRAINT fk_candidates_project_id FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	CONSTRAINT fk_candidates_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE SET NULL, 
	CONSTRAINT uq_candidates_eid UNIQUE (eid), 
	CONSTRAINT uq_candidates_model_version_id UNIQUE (model_version_id), 
	CONSTRAINT uq_candidates_project_id_iid UNIQUE (project_id, iid)
);
CREATE TABLE model_version_tags (
	model_version_id INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT fk_model_version_tags_model_version_id FOREIGN KEY(model_version_id) REFERENCES model_versions (id) ON DELETE CASCADE, 
	CONSTRAINT pk_model_version_tags PRIMARY KEY (model_version_id, "key")
);
CREATE TABLE package_files (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	package_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	sha256 TEXT NOT NULL, 
	size INTEGER NOT NULL, 
	creator_id INTEGER, 
	created_at INTEGER NOT NULL, 
	CONSTRAINT fk_package_files_creator_id FOREIGN KEY(creator_id) REFERENCES users (id) ON DELETE SET NULL, 
	CONSTRAINT fk_package_files_package_id FOREIGN KEY(package_id) REFERENCES packages (id) ON DELETE CASCADE, 
	CONSTRAINT fk_package_files_sha256 FOREIGN KEY(sha256) REFERENCES blobs (sha256)
);
CREATE TABLE logged_models (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	project_id INTEGER NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	eid TEXT NOT NULL, 
	name TEXT NOT NULL, 
	model_type TEXT NOT NULL, 
	status TEXT NOT NULL, 
	status_message TEXT NOT NULL, 
	source_run_id TEXT NOT NULL, 
	user_id INTEGER, 
	created_at INTEGER NOT NULL, 
	updated_at INTEGER NOT NULL, 
	CONSTRAINT fk_logged_models_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (id) ON DELETE CASCADE, 
	CONSTRAINT fk_logged_models_project_id FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	CONSTRAINT fk_logged_models_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE SET NULL, 
	CONSTRAINT uq_logged_models_eid UNIQUE (eid)
);
CREATE TABLE logged_model_tags (
	logged_model_id INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT fk_logged_model_tags_logged_model_id FOREIGN KEY(logged_model_id) REFERENCES logged_models (id) ON DELETE CASCADE, 
	CONSTRAINT pk_logged_model_tags PRIMARY KEY (logged_model_id, "key")
);
CREATE TABLE logged_model_params (
	logged_model_id INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT fk_logged_model_params_logged_model_id FOREIGN KEY(logged_model_id) REFERENCES logged_models (id) ON DELETE CASCADE, 
	CONSTRAINT pk_logged_model_params PRIMARY KEY (logged_model_id, "key")
);
CREATE TABLE model_aliases (
	model_id INTEGER NOT NULL, 
	alias TEXT NOT NULL, 
	model_version_id INTEGER NOT NULL, 
	CONSTRAINT fk_model_aliases_model_id FOREIGN KEY(model_id) REFERENCES models (id) ON DELETE CASCADE, 
	CONSTRAINT fk_model_aliases_model_version_id FOREIGN KEY(model_version_id) REFERENCES model_versions (id) ON DELETE CASCADE, 
	CONSTRAINT pk_model_aliases PRIMARY KEY (model_id, alias)
);
CREATE TABLE candidate_latest_metrics (
	candidate_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	value FLOAT, 
	timestamp INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	CONSTRAINT fk_candidate_latest_metrics_candidate_id FOREIGN KEY(candidate_id) REFERENCES candidates (id) ON DELETE CASCADE, 
	CONSTRAINT pk_candidate_latest_metrics PRIMARY KEY (candidate_id, name)
)
 WITHOUT ROWID

;
CREATE TABLE candidate_datasets (
	candidate_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	source_type TEXT NOT NULL, 
	source TEXT NOT NULL, 
	schema TEXT, 
	profile TEXT, 
	context TEXT, 
	tags TEXT NOT NULL, place INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT fk_candidate_datasets_candidate_id FOREIGN KEY(candidate_id) REFERENCES candidates (id) ON DELETE CASCADE, 
	CONSTRAINT pk_candidate_datasets PRIMARY KEY (candidate_id, name, digest)
);
CREATE TABLE candidate_models (
	candidate_id INTEGER NOT NULL, 
	logged_model_id INTEGER NOT NULL, 
	output BOOLEAN NOT NULL, 
	step INTEGER NOT NULL, 
	CONSTRAINT fk_candidate_models_candidate_id FOREIGN KEY(candidate_id) REFERENCES candidates (id) ON DELETE CASCADE, 
	CONSTRAINT fk_candidate_models_logged_model_id FOREIGN KEY(logged_model_id) REFERENCES logged_models (id) ON DELETE CASCADE, 
	CONSTRAINT pk_candidate_models PRIMARY KEY (candidate_id, logged_model_id, output)
);
CREATE TABLE "candidate_metrics" (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	candidate_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	value FLOAT NOT NULL, 
	is_nan BOOLEAN NOT NULL, 
	timestamp INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	logged_model_id INTEGER, dataset_name TEXT, dataset_digest TEXT, 
	CONSTRAINT fk_candidate_metrics_candidate_id FOREIGN KEY(candidate_id) REFERENCES candidates (id) ON DELETE CASCADE, 
	CONSTRAINT fk_candidate_metrics_logged_model_id FOREIGN KEY(logged_model_id) REFERENCES logged_models (id) ON DELETE SET NULL
);
CREATE TABLE "model_versions" (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	project_id INTEGER NOT NULL, 
	model_id INTEGER NOT NULL, 
	version TEXT NOT NULL, 
	major INTEGER NOT NULL, 
	minor INTEGER NOT NULL, 
	patch INTEGER NOT NULL, 
	prerelease TEXT NOT NULL, 
	description TEXT NOT NULL, 
	source TEXT NOT NULL, 
	run_link TEXT NOT NULL, 
	user_id INTEGER, 
	created_at INTEGER NOT NULL, 
	updated_at INTEGER NOT NULL, 
	logged_model_id INTEGER, stage TEXT DEFAULT 'None' NOT NULL, run_id TEXT DEFAULT '' NOT NULL, followed_directory TEXT DEFAULT '' NOT NULL, location TEXT DEFAULT '' NOT NULL, followed_candidate_id INTEGER, followed_model_id INTEGER, 
	CONSTRAINT fk_model_versions_logged_model_id FOREIGN KEY(logged_model_id) REFERENCES logged_models (id) ON DELETE SET NULL, 
	CONSTRAINT fk_model_versions_model_id FOREIGN KEY(model_id) REFERENCES models (id) ON DELETE CASCADE, 
	CONSTRAINT fk_model_versions_project_id FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	CONSTRAINT fk_model_versions_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE SET NULL, 
	CONSTRAINT uq_model_versions_model_id_version UNIQUE (model_id, version)
);
CREATE TABLE "packages" (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	project_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	version TEXT NOT NULL, 
	status TEXT NOT NULL, 
	creator_id INTEGER, 
	model_version_id INTEGER, 
	candidate_id INTEGER, 
	created_at INTEGER NOT NULL, 
	updated_at INTEGER NOT NULL, 
	logged_model_id INTEGER, last_downloaded_at INTEGER, 
	CONSTRAINT fk_packages_candidate_id FOREIGN KEY(candidate_id) REFERENCES candidates (id) ON DELETE CASCADE, 
	CONSTRAINT fk_packages_creator_id FOREIGN KEY(creator_id) REFERENCES users (id) ON DELETE SET NULL, 
	CONSTRAINT fk_packages_logged_model_id FOREIGN KEY(logged_model_id) REFERENCES logged_models (id) ON DELETE CASCADE, 
	CONSTRAINT fk_packages_model_version_id FOREIGN KEY(model_version_id) REFERENCES model_versions (id) ON DELETE CASCADE, 
	CONSTRAINT fk_packages_project_id FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	CONSTRAINT uq_packages_candidate_id UNIQUE (candidate_id), 
	CONSTRAINT uq_packages_model_version_id UNIQUE (model_version_id)
);
CREATE TABLE candidate_params (
	candidate_id INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	head TEXT NOT NULL, 
	CONSTRAINT fk_candidate_params_candidate_id FOREIGN KEY(candidate_id) REFERENCES candidates (id) ON DELETE CASCADE, 
	CONSTRAINT pk_candidate_params PRIMARY KEY (candidate_id, "key")
)
 WITHOUT ROWID

;
CREATE TABLE candidate_tags (
	candidate_id INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	head TEXT NOT NULL, 
	CONSTRAINT fk_candidate_tags_candidate_id FOREIGN KEY(candidate_id) REFERENCES candidates (id) ON DELETE CASCADE, 
	CONSTRAINT pk_candidate_tags PRIMARY KEY (candidate_id, "key")
)
 WITHOUT ROWID

;
CREATE TABLE project_storage (
	project_id INTEGER NOT NULL, 
	slot INTEGER NOT NULL, 
	size INTEGER NOT NULL, 
	CONSTRAINT fk_project_storage_project_id FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	CONSTRAINT pk_project_storage PRIMARY KEY (project_id, slot)
);
CREATE TABLE audit_events (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	author_id INTEGER NOT NULL, 
	entity_type TEXT NOT NULL, 
	entity_id INTEGER NOT NULL, 
	event_name TEXT NOT NULL, 
	details TEXT NOT NULL, 
	created_at INTEGER NOT NULL
);
CREATE TABLE upkeep_runs (
	task TEXT NOT NULL, 
	started_at INTEGER NOT NULL, 
	finished_at INTEGER NOT NULL, 
	found INTEGER NOT NULL, 
	size INTEGER NOT NULL, 
	position TEXT NOT NULL, 
	completed_at INTEGER, 
	CONSTRAINT pk_upkeep_runs PRIMARY KEY (task)
);
CREATE TABLE project_rows (
	project_id INTEGER NOT NULL, 
	slot INTEGER NOT NULL, 
	size INTEGER NOT NULL, 
	CONSTRAINT fk_project_rows_project_id FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	CONSTRAINT pk_project_rows PRIMARY KEY (project_id, slot)
);
CREATE TABLE "commits" (
	id INTEGER NOT NULL, 
	oid TEXT NOT NULL, 
	model_version_id INTEGER NOT NULL, 
	manifest BLOB NOT NULL, 
	size INTEGER NOT NULL, 
	changed_at INTEGER NOT NULL, 
	created_at INTEGER NOT NULL, 
	request TEXT, 
	title TEXT, 
	message TEXT, 
	author_id INTEGER, 
	PRIMARY KEY (id), 
	CONSTRAINT fk_commits_author_id FOREIGN KEY(author_id) REFERENCES users (id) ON DELETE SET NULL, 
	CONSTRAINT fk_commits_model_version_id FOREIGN KEY(model_version_id) REFERENCES model_versions (id) ON DELETE CASCADE, 
	CONSTRAINT uq_commits_oid UNIQUE (oid)
);
CREATE TABLE upload_tickets (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	project_id INTEGER NOT NULL, 
	user_id INTEGER NOT NULL, 
	digest TEXT NOT NULL, 
	token_id INTEGER NOT NULL, 
	sha256 TEXT, 
	size INTEGER, 
	expires_at INTEGER NOT NULL, 
	CONSTRAINT fk_upload_tickets_project_id FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	CONSTRAINT fk_upload_tickets_token_id FOREIGN KEY(token_id) REFERENCES tokens (id) ON DELETE CASCADE, 
	CONSTRAINT fk_upload_tickets_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE, 
	CONSTRAINT uq_upload_tickets_digest UNIQUE (digest)
);
CREATE TABLE uploaded_objects (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	project_id INTEGER NOT NULL, 
	user_id INTEGER NOT NULL, 
	sha256 TEXT NOT NULL, 
	size INTEGER NOT NULL, 
	created_at INTEGER NOT NULL, 
	CONSTRAINT fk_uploaded_objects_project_id FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	CONSTRAINT fk_uploaded_objects_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE, 
	CONSTRAINT uq_uploaded_objects_project_id_user_id_sha256 UNIQUE (project_id, user_id, sha256)
);
CREATE TABLE upload_pieces (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	project_id INTEGER NOT NULL, 
	user_id INTEGER NOT NULL, 
	session TEXT NOT NULL, 
	name TEXT NOT NULL, 
	sha256 TEXT NOT NULL, 
	size INTEGER NOT NULL, 
	chunks BLOB NOT NULL, 
	created_at INTEGER NOT NULL, hashes BLOB, 
	CONSTRAINT fk_upload_pieces_project_id FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	CONSTRAINT fk_upload_pieces_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE, 
	CONSTRAINT uq_upload_pieces_project_id_user_id_session_name UNIQUE (project_id, user_id, session, name)
);
CREATE TABLE sessions (
	token_id INTEGER NOT NULL, 
	address TEXT NOT NULL, 
	user_agent TEXT NOT NULL, 
	CONSTRAINT fk_sessions_token_id FOREIGN KEY(token_id) REFERENCES tokens (id) ON DELETE CASCADE, 
	CONSTRAINT pk_sessions PRIMARY KEY (token_id)
);
CREATE TABLE sign_in_codes (
	digest TEXT NOT NULL, 
	user_id INTEGER NOT NULL, 
	expires_at INTEGER NOT NULL, 
	CONSTRAINT fk_sign_in_codes_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE, 
	CONSTRAINT pk_sign_in_codes PRIMARY KEY (digest)
);
CREATE TABLE uploads (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	uid TEXT NOT NULL, 
	project_id INTEGER NOT NULL, 
	owner_kind TEXT NOT NULL, 
	owner_key TEXT NOT NULL, 
	name TEXT NOT NULL, 
	user_id INTEGER NOT NULL, 
	token_id INTEGER NOT NULL, 
	state TEXT NOT NULL, 
	length INTEGER, 
	size INTEGER NOT NULL, 
	generation INTEGER NOT NULL, 
	writer INTEGER NOT NULL, 
	hash_state BLOB NOT NULL, 
	place TEXT NOT NULL, 
	sha256 TEXT, 
	terms TEXT NOT NULL, 
	created_at INTEGER NOT NULL, 
	expires_at INTEGER NOT NULL, 
	CONSTRAINT fk_uploads_project_id FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	CONSTRAINT fk_uploads_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE, 
	CONSTRAINT uq_uploads_uid UNIQUE (uid)
);
CREATE TABLE upload_parts (
	upload_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	size INTEGER NOT NULL, 
	etag TEXT NOT NULL, 
	CONSTRAINT fk_upload_parts_upload_id FOREIGN KEY(upload_id) REFERENCES uploads (id) ON DELETE CASCADE, 
	CONSTRAINT pk_upload_parts PRIMARY KEY (upload_id, number)
);
CREATE TABLE issuers (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	url TEXT NOT NULL, 
	audience TEXT NOT NULL, 
	algorithms TEXT NOT NULL, 
	jwks TEXT NOT NULL, 
	jwks_uri TEXT NOT NULL, 
	ca TEXT NOT NULL, 
	private BOOLEAN NOT NULL, 
	jobs BOOLEAN NOT NULL, 
	single BOOLEAN NOT NULL, 
	direct BOOLEAN NOT NULL, 
	job_tokens BOOLEAN NOT NULL, 
	created_at INTEGER NOT NULL, 
	updated_at INTEGER NOT NULL, 
	CONSTRAINT uq_issuers_name UNIQUE (name), 
	CONSTRAINT uq_issuers_url UNIQUE (url)
);
CREATE TABLE trusted_publishers (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	project_id INTEGER NOT NULL, 
	issuer_id INTEGER NOT NULL, 
	user_id INTEGER NOT NULL, 
	creator_id INTEGER, 
	name TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	claims TEXT NOT NULL, 
	ref TEXT NOT NULL, 
	ref_protected BOOLEAN NOT NULL, 
	environment TEXT NOT NULL, 
	events TEXT NOT NULL, 
	access_level INTEGER NOT NULL, 
	lifetime INTEGER NOT NULL, 
	source TEXT NOT NULL, 
	created_at INTEGER NOT NULL, 
	last_used_at INTEGER, 
	CONSTRAINT fk_trusted_publishers_creator_id FOREIGN KEY(creator_id) REFERENCES users (id) ON DELETE SET NULL, 
	CONSTRAINT fk_trusted_publishers_issuer_id FOREIGN KEY(issuer_id) REFERENCES issuers (id) ON DELETE CASCADE, 
	CONSTRAINT fk_trusted_publishers_project_id FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	CONSTRAINT fk_trusted_publishers_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE TABLE token_origins (
	token_id INTEGER NOT NULL, 
	publisher_id INTEGER, 
	facts TEXT NOT NULL, 
	CONSTRAINT fk_token_origins_publisher_id FOREIGN KEY(publisher_id) REFERENCES trusted_publishers (id) ON DELETE SET NULL, 
	CONSTRAINT fk_token_origins_token_id FOREIGN KEY(token_id) REFERENCES tokens (id) ON DELETE CASCADE, 
	CONSTRAINT pk_token_origins PRIMARY KEY (token_id)
);
CREATE TABLE version_origins (
	model_version_id INTEGER NOT NULL, 
	facts TEXT NOT NULL, 
	CONSTRAINT fk_version_origins_model_version_id FOREIGN KEY(model_version_id) REFERENCES model_versions (id) ON DELETE CASCADE, 
	CONSTRAINT pk_version_origins PRIMARY KEY (model_version_id)
);
CREATE TABLE used_tokens (
	issuer_id INTEGER NOT NULL, 
	jti TEXT NOT NULL, 
	expires_at INTEGER NOT NULL, 
	CONSTRAINT fk_used_tokens_issuer_id FOREIGN KEY(issuer_id) REFERENCES issuers (id) ON DELETE CASCADE, 
	CONSTRAINT pk_used_tokens PRIMARY KEY (issuer_id, jti)
);
CREATE TABLE device_grants (
	digest TEXT NOT NULL, 
	user_code TEXT NOT NULL, 
	client TEXT NOT NULL, 
	scopes TEXT NOT NULL, 
	address TEXT NOT NULL, 
	created_at INTEGER NOT NULL, 
	expires_at INTEGER NOT NULL, 
	interval INTEGER NOT NULL, 
	polled_at INTEGER, 
	approved BOOLEAN, 
	user_id INTEGER, 
	maker_id INTEGER, 
	CONSTRAINT fk_device_grants_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE, 
	CONSTRAINT pk_device_grants PRIMARY KEY (digest), 
	CONSTRAINT uq_device_grants_user_code UNIQUE (user_code)
);
CREATE TABLE passwords (
	user_id INTEGER NOT NULL, 
	digest TEXT NOT NULL, 
	changed_at INTEGER NOT NULL, 
	CONSTRAINT fk_passwords_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE, 
	CONSTRAINT pk_passwords PRIMARY KEY (user_id)
);
CREATE TABLE sign_on_providers (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	label TEXT NOT NULL, 
	issuer_id INTEGER NOT NULL, 
	client_id TEXT NOT NULL, 
	secret_file TEXT NOT NULL, 
	scopes TEXT NOT NULL, 
	provision TEXT NOT NULL, 
	groups_claim TEXT NOT NULL, 
	created_at INTEGER NOT NULL, secret TEXT, 
	CONSTRAINT fk_sign_on_providers_issuer_id FOREIGN KEY(issuer_id) REFERENCES issuers (id) ON DELETE CASCADE, 
	CONSTRAINT uq_sign_on_providers_name UNIQUE (name)
);
CREATE TABLE provider_groups (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	provider_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	path TEXT NOT NULL, 
	access_level INTEGER NOT NULL, 
	CONSTRAINT fk_provider_groups_provider_id FOREIGN KEY(provider_id) REFERENCES sign_on_providers (id) ON DELETE CASCADE, 
	CONSTRAINT uq_provider_groups_provider_id_name_path UNIQUE (provider_id, name, path)
);
CREATE TABLE user_identities (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	user_id INTEGER NOT NULL, 
	issuer TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	provisioned BOOLEAN NOT NULL, 
	made_admin BOOLEAN NOT NULL, 
	created_at INTEGER NOT NULL, 
	CONSTRAINT fk_user_identities_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE, 
	CONSTRAINT uq_user_identities_issuer_subject UNIQUE (issuer, subject)
);
CREATE TABLE sign_on_states (
	digest TEXT NOT NULL, 
	browser TEXT NOT NULL, 
	provider_id INTEGER NOT NULL, 
	return_to TEXT NOT NULL, 
	user_id INTEGER, 
	expires_at INTEGER NOT NULL, 
	CONSTRAINT fk_sign_on_states_provider_id FOREIGN KEY(provider_id) REFERENCES sign_on_providers (id) ON DELETE CASCADE, 
	CONSTRAINT fk_sign_on_states_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE, 
	CONSTRAINT pk_sign_on_states PRIMARY KEY (digest)
);
CREATE TABLE sign_on_sessions (
	token_id INTEGER NOT NULL, 
	provider_id INTEGER NOT NULL, 
	id_token TEXT NOT NULL, 
	CONSTRAINT fk_sign_on_sessions_provider_id FOREIGN KEY(provider_id) REFERENCES sign_on_providers (id) ON DELETE CASCADE, 
	CONSTRAINT fk_sign_on_sessions_token_id FOREIGN KEY(token_id) REFERENCES tokens (id) ON DELETE CASCADE, 
	CONSTRAINT pk_sign_on_sessions PRIMARY KEY (token_id)
);
CREATE TABLE marks (
	scope TEXT NOT NULL, 
	slot INTEGER NOT NULL, 
	mark INTEGER NOT NULL, 
	CONSTRAINT pk_marks PRIMARY KEY (scope, slot)
);
CREATE TABLE known_chunks (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	project_id INTEGER NOT NULL, 
	sha256 TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	"offset" INTEGER NOT NULL, 
	size INTEGER NOT NULL, 
	records BLOB NOT NULL, 
	created_at INTEGER NOT NULL, 
	CONSTRAINT fk_known_chunks_project_id FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	CONSTRAINT uq_known_chunks_project_id_sha256_number UNIQUE (project_id, sha256, number)
);
CREATE TABLE chunk_marks (
	hash TEXT NOT NULL, 
	known_id INTEGER NOT NULL, 
	CONSTRAINT fk_chunk_marks_known_id FOREIGN KEY(known_id) REFERENCES known_chunks (id) ON DELETE CASCADE, 
	CONSTRAINT pk_chunk_marks PRIMARY KEY (hash, known_id)
);
CREATE INDEX ix_audit_events_created_at ON audit_events (created_at);
CREATE INDEX ix_audit_events_entity_type_entity_id_id ON audit_events (entity_type, entity_id, id);
CREATE INDEX ix_candidate_datasets_digest_candidate_id ON candidate_datasets (digest, candidate_id);
CREATE INDEX ix_candidate_datasets_name_candidate_id ON candidate_datasets (name, candidate_id);
CREATE INDEX ix_candidate_latest_metrics_experiment_id_name_value_candidate_id ON candidate_latest_metrics (experiment_id, name, value, candidate_id);
CREATE INDEX ix_candidate_metrics_curves ON candidate_metrics (candidate_id, name, step, timestamp, value, is_nan);
CREATE INDEX ix_candidate_metrics_logged_model_id ON candidate_metrics (logged_model_id);
CREATE INDEX ix_candidate_models_logged_model_id ON candidate_models (logged_model_id);
CREATE INDEX ix_candidate_params_experiment_id_key_head_candidate_id ON candidate_params (experiment_id, "key", head, candidate_id);
CREATE INDEX ix_candidate_tags_experiment_id_key_head_candidate_id ON candidate_tags (experiment_id, "key", head, candidate_id);
CREATE INDEX ix_candidates_experiment_id_start_time_eid ON candidates (experiment_id, start_time DESC, eid);
CREATE INDEX ix_candidates_user_id ON candidates (user_id);
CREATE INDEX ix_chunk_marks_known_id ON chunk_marks (known_id);
CREATE INDEX ix_commits_author_id ON commits (author_id);
CREATE INDEX ix_commits_model_version_id_id ON commits (model_version_id, id);
CREATE INDEX ix_device_grants_expires_at ON device_grants (expires_at);
CREATE INDEX ix_device_grants_user_id ON device_grants (user_id);
CREATE INDEX ix_experiments_user_id ON experiments (user_id);
CREATE INDEX ix_known_chunks_sha256 ON known_chunks (sha256);
CREATE INDEX ix_logged_models_experiment_id_created_at_id ON logged_models (experiment_id, created_at, id);
CREATE INDEX ix_logged_models_project_id ON logged_models (project_id);
CREATE INDEX ix_logged_models_source_run_id ON logged_models (source_run_id);
CREATE INDEX ix_logged_models_user_id ON logged_models (user_id);
CREATE INDEX ix_members_user_id ON members (user_id);
CREATE INDEX ix_model_aliases_model_version_id ON model_aliases (model_version_id);
CREATE INDEX ix_model_versions_followed_candidate_id_followed_directory ON model_versions (followed_candidate_id, followed_directory);
CREATE INDEX ix_model_versions_followed_model_id_followed_directory ON model_versions (followed_model_id, followed_directory);
CREATE INDEX ix_model_versions_logged_model_id ON model_versions (logged_model_id);
CREATE INDEX ix_model_versions_model_id_major_minor_patch ON model_versions (model_id, major, minor, patch);
CREATE INDEX ix_model_versions_project_id ON model_versions (project_id);
CREATE INDEX ix_model_versions_run_id ON model_versions (run_id);
CREATE INDEX ix_model_versions_user_id ON model_versions (user_id);
CREATE INDEX ix_models_user_id ON models (user_id);
CREATE INDEX ix_package_files_creator_id ON package_files (creator_id);
CREATE INDEX ix_package_files_package_id_name_id ON package_files (package_id, name, id);
CREATE INDEX ix_package_files_sha256 ON package_files (sha256);
CREATE INDEX ix_packages_creator_id ON packages (creator_id);
CREATE UNIQUE INDEX ix_packages_logged_model_id ON packages (logged_model_id);
CREATE INDEX ix_packages_project_id_created_at_id ON packages (project_id, created_at, id);
CREATE INDEX ix_projects_creator_id ON projects (creator_id);
CREATE INDEX ix_sign_in_codes_user_id ON sign_in_codes (user_id);
CREATE INDEX ix_sign_on_providers_issuer_id ON sign_on_providers (issuer_id);
CREATE INDEX ix_sign_on_sessions_provider_id ON sign_on_sessions (provider_id);
CREATE INDEX ix_sign_on_states_expires_at ON sign_on_states (expires_at);
CREATE INDEX ix_sign_on_states_provider_id ON sign_on_states (provider_id);
CREATE INDEX ix_sign_on_states_user_id ON sign_on_states (user_id);
CREATE INDEX ix_token_origins_publisher_id ON token_origins (publisher_id);
CREATE INDEX ix_tokens_project_id ON tokens (project_id);
CREATE INDEX ix_tokens_user_id ON tokens (user_id);
CREATE INDEX ix_tokens_user_id_last_used_at ON tokens (user_id, last_used_at);
CREATE INDEX ix_trusted_publishers_creator_id ON trusted_publishers (creator_id);
CREATE INDEX ix_trusted_publishers_issuer_id_subject ON trusted_publishers (issuer_id, subject);
CREATE INDEX ix_trusted_publishers_project_id ON trusted_publishers (project_id);
CREATE INDEX ix_trusted_publishers_user_id ON trusted_publishers (user_id);
CREATE INDEX ix_upload_parts_etag ON upload_parts (etag);
CREATE INDEX ix_upload_pieces_created_at ON upload_pieces (created_at);
CREATE INDEX ix_upload_pieces_user_id ON upload_pieces (user_id);
CREATE INDEX ix_upload_tickets_expires_at ON upload_tickets (expires_at);
CREATE INDEX ix_upload_tickets_project_id_user_id ON upload_tickets (project_id, user_id);
CREATE INDEX ix_upload_tickets_token_id ON upload_tickets (token_id);
CREATE INDEX ix_upload_tickets_user_id ON upload_tickets (user_id);
CREATE INDEX ix_uploaded_objects_created_at ON uploaded_objects (created_at);
CREATE INDEX ix_uploaded_objects_user_id ON uploaded_objects (user_id);
CREATE INDEX ix_uploads_project_id_state ON uploads (project_id, state);
CREATE INDEX ix_uploads_state_expires_at ON uploads (state, expires_at);
CREATE INDEX ix_uploads_token_id_state ON uploads (token_id, state);
CREATE INDEX ix_uploads_user_id ON uploads (user_id);
CREATE INDEX ix_used_tokens_expires_at ON used_tokens (expires_at);
CREATE INDEX ix_user_identities_user_id ON user_identities (user_id);
CREATE TRIGGER count_added_file AFTER INSERT ON package_files BEGIN
        INSERT INTO project_storage (project_id, slot, size)
        SELECT project_id, 0, NEW.size FROM packages WHERE id = NEW.package_id
        ON CONFLICT (project_id, slot) DO UPDATE SET size = size + excluded.size;
    END;
CREATE TRIGGER count_removed_file AFTER DELETE ON package_files BEGIN
        UPDATE project_storage SET size = size - OLD.size
        WHERE slot = 0 AND project_id = (SELECT project_id FROM packages WHERE id = OLD.package_id);
    END;
CREATE TRIGGER count_removed_package BEFORE DELETE ON packages BEGIN
        UPDATE project_storage
        SET size = size - (SELECT coalesce(sum(size), 0) FROM package_files WHERE package_id = OLD.id)
        WHERE slot = 0 AND project_id = OLD.project_id;
    END;
CREATE TRIGGER experiments_row_added AFTER INSERT ON experiments BEGIN
            INSERT INTO project_rows (project_id, slot, size) SELECT id, 0, 200 + coalesce(length(CAST(NEW."name" AS BLOB)), 0) FROM projects WHERE id = NEW.project_id
            ON CONFLICT (project_id, slot) DO UPDATE SET size = project_rows.size + excluded.size;
        END;
CREATE TRIGGER experiments_row_gone BEFORE DELETE ON experiments BEGIN
            UPDATE project_rows SET size = size - (200 + coalesce(length(CAST(OLD."name" AS BLOB)), 0) + (SELECT coalesce(sum(200 + coalesce(length(CAST("key" AS BLOB)), 0) + coalesce(length(CAST("value" AS BLOB)), 0)), 0) FROM experiment_tags WHERE experiment_id = OLD.id)) WHERE slot = 0 AND project_id = OLD.project_id;
        END;
CREATE TRIGGER experiments_row_changed AFTER UPDATE OF "name" ON experiments BEGIN
                UPDATE project_rows SET size = size + (200 + coalesce(length(CAST(NEW."name" AS BLOB)), 0)) - (200 + coalesce(length(CAST(OLD."name" AS BLOB)), 0)) WHERE slot = 0 AND project_id = NEW.project_id;
            END;
CREATE TRIGGER candidates_row_added AFTER INSERT ON candidates BEGIN
            INSERT INTO project_rows (project_id, slot, size) SELECT id, 0, 200 + coalesce(length(CAST(NEW."name" AS BLOB)), 0) FROM projects WHERE id = NEW.project_id
            ON CONFLICT (project_id, slot) DO UPDATE SET size = project_rows.size + excluded.size;
        END;
CREATE TRIGGER candidates_row_gone BEFORE DELETE ON candidates BEGIN
            UPDATE project_rows SET size = size - (200 + coalesce(length(CAST(OLD."name" AS BLOB)), 0) + (SELECT coalesce(sum(200 + coalesce(length(CAST("key" AS BLOB)), 0) + coalesce(length(CAST("value" AS BLOB)), 0)), 0) FROM candidate_tags WHERE candidate_id = OLD.id) + (SELECT coalesce(sum(200 + coalesce(length(CAST("key" AS BLOB)), 0) + coalesce(length(CAST("value" AS BLOB)), 0)), 0) FROM candidate_params WHERE candidate_id = OLD.id) + (SELECT coalesce(sum(200 + coalesce(length(CAST("name" AS BLOB)), 0) + coalesce(length(CAST("source" AS BLOB)), 0) + coalesce(length(CAST("schema" AS BLOB)), 0) + coalesce(length(CAST("profile" AS BLOB)), 0) + coalesce(length(CAST("tags" AS BLOB)), 0)), 0) FROM candidate_datasets WHERE candidate_id = OLD.id) + (SELECT coalesce(sum(200), 0) FROM candidate_models WHERE candidate_id = OLD.id) + (SELECT coalesce(sum(200), 0) FROM candidate_metrics WHERE candidate_id = OLD.id)) WHERE slot = 0 AND project_id = OLD.project_id;
        END;
CREATE TRIGGER candidates_row_changed AFTER UPDATE OF "name" ON candidates BEGIN
                UPDATE project_rows SET size = size + (200 + coalesce(length(CAST(NEW."name" AS BLOB)), 0)) - (200 + coalesce(length(CAST(OLD."name" AS BLOB)), 0)) WHERE slot = 0 AND project_id = NEW.project_id;
            END;
CREATE TRIGGER models_row_added AFTER INSERT ON models BEGIN
            INSERT INTO project_rows (project_id, slot, size) SELECT id, 0, 200 + coalesce(length(CAST(NEW."name" AS BLOB)), 0) + coalesce(length(CAST(NEW."description" AS BLOB)), 0) FROM projects WHERE id = NEW.project_id
            ON CONFLICT (project_id, slot) DO UPDATE SET size = project_rows.size + excluded.size;
        END;
CREATE TRIGGER models_row_gone BEFORE DELETE ON models BEGIN
            UPDATE project_rows SET size = size - (200 + coalesce(length(CAST(OLD."name" AS BLOB)), 0) + coalesce(length(CAST(OLD."description" AS BLOB)), 0) + (SELECT coalesce(sum(200 + coalesce(length(CAST("key" AS BLOB)), 0) + coalesce(length(CAST("value" AS BLOB)), 0)), 0) FROM model_tags WHERE model_id = OLD.id) + (SELECT coalesce(sum(200 + coalesce(length(CAST("alias" AS BLOB)), 0)), 0) FROM model_aliases WHERE model_id = OLD.id)) WHERE slot = 0 AND project_id = OLD.project_id;
        END;
CREATE TRIGGER models_row_changed AFTER UPDATE OF "name", "description" ON models BEGIN
                UPDATE project_rows SET size = size + (200 + coalesce(length(CAST(NEW."name" AS BLOB)), 0) + coalesce(length(CAST(NEW."description" AS BLOB)), 0)) - (200 + coalesce(length(CAST(OLD."name" AS BLOB)), 0) + coalesce(length(CAST(OLD."description" AS BLOB)), 0)) WHERE slot = 0 AND project_id = NEW.project_id;
            END;
CREATE TRIGGER model_versions_row_added AFTER INSERT ON model_versions BEGIN
            INSERT INTO project_rows (project_id, slot, size) SELECT id, 0, 200 + coalesce(length(CAST(NEW."description" AS BLOB)), 0) + coalesce(length(CAST(NEW."source" AS BLOB)), 0) + coalesce(length(CAST(NEW."run_link" AS BLOB)), 0) + coalesce(length(CAST(NEW."location" AS BLOB)), 0) FROM projects WHERE id = NEW.project_id
            ON CONFLICT (project_id, slot) DO UPDATE SET size = project_rows.size + excluded.size;
        END;
CREATE TRIGGER model_versions_row_gone BEFORE DELETE ON model_versions BEGIN
            UPDATE project_rows SET size = size - (200 + coalesce(length(CAST(OLD."description" AS BLOB)), 0) + coalesce(length(CAST(OLD."source" AS BLOB)), 0) + coalesce(length(CAST(OLD."run_link" AS BLOB)), 0) + coalesce(length(CAST(OLD."location" AS BLOB)), 0) + (SELECT coalesce(sum(200 + coalesce(length(CAST("key" AS BLOB)), 0) + coalesce(length(CAST("value" AS BLOB)), 0)), 0) FROM model_version_tags WHERE model_version_id = OLD.id)) WHERE slot = 0 AND project_id = OLD.project_id;
        END;
CREATE TRIGGER model_versions_row_changed AFTER UPDATE OF "description", "source", "run_link", "location" ON model_versions BEGIN
                UPDATE project_rows SET size = size + (200 + coalesce(length(CAST(NEW."description" AS BLOB)), 0) + coalesce(length(CAST(NEW."source" AS BLOB)), 0) + coalesce(length(CAST(NEW."run_link" AS BLOB)), 0) + coalesce(length(CAST(NEW."location" AS BLOB)), 0)) - (200 + coalesce(length(CAST(OLD."description" AS BLOB)), 0) + coalesce(length(CAST(OLD."source" AS BLOB)), 0) + coalesce(length(CAST(OLD."run_link" AS BLOB)), 0) + coalesce(length(CAST(OLD."location" AS BLOB)), 0)) WHERE slot = 0 AND project_id = NEW.project_id;
            END;
CREATE TRIGGER logged_models_row_added AFTER INSERT ON logged_models BEGIN
            INSERT INTO project_rows (project_id, slot, size) SELECT id, 0, 200 + coalesce(length(CAST(NEW."name" AS BLOB)), 0) + coalesce(length(CAST(NEW."model_type" AS BLOB)), 0) + coalesce(length(CAST(NEW."status_message" AS BLOB)), 0) FROM projects WHERE id = NEW.project_id
            ON CONFLICT (project_id, slot) DO UPDATE SET size = project_rows.size + excluded.size;
        END;
CREATE TRIGGER logged_models_row_gone BEFORE DELETE ON logged_models BEGIN
            UPDATE project_rows SET size = size - (200 + coalesce(length(CAST(OLD."name" AS BLOB)), 0) + coalesce(length(CAST(OLD."model_type" AS BLOB)), 0) + coalesce(length(CAST(OLD."status_message" AS BLOB)), 0) + (SELECT coalesce(sum(200 + coalesce(length(CAST("key" AS BLOB)), 0) + coalesce(length(CAST("value" AS BLOB)), 0)), 0) FROM logged_model_tags WHERE logged_model_id = OLD.id) + (SELECT coalesce(sum(200 + coalesce(length(CAST("key" AS BLOB)), 0) + coalesce(length(CAST("value" AS BLOB)), 0)), 0) FROM logged_model_params WHERE logged_model_id = OLD.id)) WHERE slot = 0 AND project_id = OLD.project_id;
        END;
CREATE TRIGGER logged_models_row_changed AFTER UPDATE OF "name", "model_type", "status_message" ON logged_models BEGIN
                UPDATE project_rows SET size = size + (200 + coalesce(length(CAST(NEW."name" AS BLOB)), 0) + coalesce(length(CAST(NEW."model_type" AS BLOB)), 0) + coalesce(length(CAST(NEW."status_message" AS BLOB)), 0)) - (200 + coalesce(length(CAST(OLD."name" AS BLOB)), 0) + coalesce(length(CAST(OLD."model_type" AS BLOB)), 0) + coalesce(length(CAST(OLD."status_message" AS BLOB)), 0)) WHERE slot = 0 AND project_id = NEW.project_id;
            END;
CREATE TRIGGER tokens_row_added AFTER INSERT ON tokens BEGIN
            INSERT INTO project_rows (project_id, slot, size) SELECT id, 0, 200 + coalesce(length(CAST(NEW."name" AS BLOB)), 0) + coalesce(length(CAST(NEW."description" AS BLOB)), 0) FROM projects WHERE id = NEW.project_id
            ON CONFLICT (project_id, slot) DO UPDATE SET size = project_rows.size + excluded.size;
        END;
CREATE TRIGGER tokens_row_gone BEFORE DELETE ON tokens BEGIN
            UPDATE project_rows SET size = size - (200 + coalesce(length(CAST(OLD."name" AS BLOB)), 0) + coalesce(length(CAST(OLD."description" AS BLOB)), 0)) WHERE slot = 0 AND project_id = OLD.project_id;
        END;
CREATE TRIGGER tokens_row_changed AFTER UPDATE OF "name", "description" ON tokens BEGIN
                UPDATE project_rows SET size = size + (200 + coalesce(length(CAST(NEW."name" AS BLOB)), 0) + coalesce(length(CAST(NEW."description" AS BLOB)), 0)) - (200 + coalesce(length(CAST(OLD."name" AS BLOB)), 0) + coalesce(length(CAST(OLD."description" AS BLOB)), 0)) WHERE slot = 0 AND project_id = NEW.project_id;
            END;
CREATE TRIGGER experiment_tags_row_added AFTER INSERT ON experiment_tags BEGIN
            INSERT INTO project_rows (project_id, slot, size) SELECT id, 0, 200 + coalesce(length(CAST(NEW."key" AS BLOB)), 0) + coalesce(length(CAST(NEW."value" AS BLOB)), 0) FROM projects WHERE id = (SELECT project_id FROM experiments WHERE id = NEW.experiment_id)
            ON CONFLICT (project_id, slot) DO UPDATE SET size = project_rows.size + excluded.size;
        END;
CREATE TRIGGER experiment_tags_row_gone AFTER DELETE ON experiment_tags BEGIN
            UPDATE project_rows SET size = size - (200 + coalesce(length(CAST(OLD."key" AS BLOB)), 0) + coalesce(length(CAST(OLD."value" AS BLOB)), 0)) WHERE slot = 0 AND project_id = (SELECT project_id FROM experiments WHERE id = OLD.experiment_id);
        END;
CREATE TRIGGER experiment_tags_row_changed AFTER UPDATE OF "key", "value" ON experiment_tags BEGIN
                UPDATE project_rows SET size = size + (200 + coalesce(length(CAST(NEW."key" AS BLOB)), 0) + coalesce(length(CAST(NEW."value" AS BLOB)), 0)) - (200 + coalesce(length(CAST(OLD."key" AS BLOB)), 0) + coalesce(length(CAST(OLD."value" AS BLOB)), 0)) WHERE slot = 0 AND project_id = (SELECT project_id FROM experiments WHERE id = NEW.experiment_id);
            END;
CREATE TRIGGER candidate_tags_row_added AFTER INSERT ON candidate_tags BEGIN
            INSERT INTO project_rows (project_id, slot, size) SELECT id, 0, 200 + coalesce(length(CAST(NEW."key" AS BLOB)), 0) + coalesce(length(CAST(NEW."value" AS BLOB)), 0) FROM projects WHERE id = (SELECT project_id FROM candidates WHERE id = NEW.candidate_id)
            ON CONFLICT (project_id, slot) DO UPDATE SET size = project_rows.size + excluded.size;
        END;
CREATE TRIGGER candidate_tags_row_gone AFTER DELETE ON candidate_tags BEGIN
            UPDATE project_rows SET size = size - (200 + coalesce(length(CAST(OLD."key" AS BLOB)), 0) + coalesce(length(CAST(OLD."value" AS BLOB)), 0)) WHERE slot = 0 AND project_id = (SELECT project_id FROM candidates WHERE id = OLD.candidate_id);
        END;
CREATE TRIGGER candidate_tags_row_changed AFTER UPDATE OF "key", "value" ON candidate_tags BEGIN
                UPDATE project_rows SET size = size + (200 + coalesce(length(CAST(NEW."key" AS BLOB)), 0) + coalesce(length(CAST(NEW."value" AS BLOB)), 0)) - (200 + coalesce(length(CAST(OLD."key" AS BLOB)), 0) + coalesce(length(CAST(OLD."value" AS BLOB)), 0)) WHERE slot = 0 AND project_id = (SELECT project_id FROM candidates WHERE id = NEW.candidate_id);
            END;
CREATE TRIGGER candidate_params_row_added AFTER INSERT ON candidate_params BEGIN
            INSERT INTO project_rows (project_id, slot, size) SELECT id, 0, 200 + coalesce(length(CAST(NEW."key" AS BLOB)), 0) + coalesce(length(CAST(NEW."value" AS BLOB)), 0) FROM projects WHERE id = (SELECT project_id FROM candidates WHERE id = NEW.candidate_id)
            ON CONFLICT (project_id, slot) DO UPDATE SET size = project_rows.size + excluded.size;
        END;
CREATE TRIGGER candidate_params_row_gone AFTER DELETE ON candidate_params BEGIN
            UPDATE project_rows SET size = size - (200 + coalesce(length(CAST(OLD."key" AS BLOB)), 0) + coalesce(length(CAST(OLD."value" AS BLOB)), 0)) WHERE slot = 0 AND project_id = (SELECT project_id FROM candidates WHERE id = OLD.candidate_id);
        END;
CREATE TRIGGER candidate_params_row_changed AFTER UPDATE OF "key", "value" ON candidate_params BEGIN
                UPDATE project_rows SET size = size + (200 + coalesce(length(CAST(NEW."key" AS BLOB)), 0) + coalesce(length(CAST(NEW."value" AS BLOB)), 0)) - (200 + coalesce(length(CAST(OLD."key" AS BLOB)), 0) + coalesce(length(CAST(OLD."value" AS BLOB)), 0)) WHERE slot = 0 AND project_id = (SELECT project_id FROM candidates WHERE id = NEW.candidate_id);
            END;
CREATE TRIGGER candidate_datasets_row_added AFTER INSERT ON candidate_datasets BEGIN
            INSERT INTO project_rows (project_id, slot, size) SELECT id, 0, 200 + coalesce(length(CAST(NEW."name" AS BLOB)), 0) + coalesce(length(CAST(NEW."source" AS BLOB)), 0) + coalesce(length(CAST(NEW."schema" AS BLOB)), 0) + coalesce(length(CAST(NEW."profile" AS BLOB)), 0) + coalesce(length(CAST(NEW."tags" AS BLOB)), 0) FROM projects WHERE id = (SELECT project_id FROM candidates WHERE id = NEW.candidate_id)
            ON CONFLICT (project_id, slot) DO UPDATE SET size = project_rows.size + excluded.size;
        END;
CREATE TRIGGER candidate_datasets_row_gone AFTER DELETE ON candidate_datasets BEGIN
            UPDATE project_rows SET size = size - (200 + coalesce(length(CAST(OLD."name" AS BLOB)), 0) + coalesce(length(CAST(OLD."source" AS BLOB)), 0) + coalesce(length(CAST(OLD."schema" AS BLOB)), 0) + coalesce(length(CAST(OLD."profile" AS BLOB)), 0) + coalesce(length(CAST(OLD."tags" AS BLOB)), 0)) WHERE slot = 0 AND project_id = (SELECT project_id FROM candidates WHERE id = OLD.candidate_id);
        END;
CREATE TRIGGER candidate_datasets_row_changed AFTER UPDATE OF "name", "source", "schema", "profile", "tags" ON candidate_datasets BEGIN
                UPDATE project_rows SET size = size + (200 + coalesce(length(CAST(NEW."name" AS BLOB)), 0) + coalesce(length(CAST(NEW."source" AS BLOB)), 0) + coalesce(length(CAST(NEW."schema" AS BLOB)), 0) + coalesce(length(CAST(NEW."profile" AS BLOB)), 0) + coalesce(length(CAST(NEW."tags" AS BLOB)), 0)) - (200 + coalesce(length(CAST(OLD."name" AS BLOB)), 0) + coalesce(length(CAST(OLD."source" AS BLOB)), 0) + coalesce(length(CAST(OLD."schema" AS BLOB)), 0) + coalesce(length(CAST(OLD."profile" AS BLOB)), 0) + coalesce(length(CAST(OLD."tags" AS BLOB)), 0)) WHERE slot = 0 AND project_id = (SELECT project_id FROM candidates WHERE id = NEW.candidate_id);
            END;
CREATE TRIGGER candidate_models_row_added AFTER INSERT ON candidate_models BEGIN
            INSERT INTO project_rows (project_id, slot, size) SELECT id, 0, 200 FROM projects WHERE id = (SELECT project_id FROM candidates WHERE id = NEW.candidate_id)
            ON CONFLICT (project_id, slot) DO UPDATE SET size = project_rows.size + excluded.size;
        END;
CREATE TRIGGER candidate_models_row_gone AFTER DELETE ON candidate_models BEGIN
            UPDATE project_rows SET size = size - (200) WHERE slot = 0 AND project_id = (SELECT project_id FROM candidates WHERE id = OLD.candidate_id);
        END;
CREATE TRIGGER model_tags_row_added AFTER INSERT ON model_tags BEGIN
            INSERT INTO project_rows (project_id, slot, size) SELECT id, 0, 200 + coalesce(length(CAST(NEW."key" AS BLOB)), 0) + coalesce(length(CAST(NEW."value" AS BLOB)), 0) FROM projects WHERE id = (SELECT project_id FROM models WHERE id = NEW.model_id)
            ON CONFLICT (project_id, slot) DO UPDATE SET size = project_rows.size + excluded.size;
        END;
CREATE TRIGGER model_tags_row_gone AFTER DELETE ON model_tags BEGIN
            UPDATE project_rows SET size = size - (200 + coalesce(length(CAST(OLD."key" AS BLOB)), 0) + coalesce(length(CAST(OLD."value" AS BLOB)), 0)) WHERE slot = 0 AND project_id = (SELECT project_id FROM models WHERE id = OLD.model_id);
        END;
CREATE TRIGGER model_tags_row_changed AFTER UPDATE OF "key", "value" ON model_tags BEGIN
                UPDATE project_rows SET size = size + (200 + coalesce(length(CAST(NEW."key" AS BLOB)), 0) + coalesce(length(CAST(NEW."value" AS BLOB)), 0)) - (200 + coalesce(length(CAST(OLD."key" AS BLOB)), 0) + coalesce(length(CAST(OLD."value" AS BLOB)), 0)) WHERE slot = 0 AND project_id = (SELECT project_id FROM models WHERE id = NEW.model_id);
            END;
CREATE TRIGGER model_aliases_row_added AFTER INSERT ON model_aliases BEGIN
            INSERT INTO project_rows (project_id, slot, size) SELECT id, 0, 200 + coalesce(length(CAST(NEW."alias" AS BLOB)), 0) FROM projects WHERE id = (SELECT project_id FROM models WHERE id = NEW.model_id)
            ON CONFLICT (project_id, slot) DO UPDATE SET size = project_rows.size + excluded.size;
        END;
CREATE TRIGGER model_aliases_row_gone AFTER DELETE ON model_aliases BEGIN
            UPDATE project_rows SET size = size - (200 + coalesce(length(CAST(OLD."alias" AS BLOB)), 0)) WHERE slot = 0 AND project_id = (SELECT project_id FROM models WHERE id = OLD.model_id);
        END;
CREATE TRIGGER model_aliases_row_changed AFTER UPDATE OF "alias" ON model_aliases BEGIN
                UPDATE project_rows SET size = size + (200 + coalesce(length(CAST(NEW."alias" AS BLOB)), 0)) - (200 + coalesce(length(CAST(OLD."alias" AS BLOB)), 0)) WHERE slot = 0 AND project_id = (SELECT project_id FROM models WHERE id = NEW.model_id);
            END;
CREATE TRIGGER model_version_tags_row_added AFTER INSERT ON model_version_tags BEGIN
            INSERT INTO project_rows (project_id, slot, size) SELECT id, 0, 200 + coalesce(length(CAST(NEW."key" AS BLOB)), 0) + coalesce(length(CAST(NEW."value" AS BLOB)), 0) FROM projects WHERE id = (SELECT project_id FROM model_versions WHERE id = NEW.model_version_id)
            ON CONFLICT (project_id, slot) DO UPDATE SET size = project_rows.size + excluded.size;
        END;
CREATE TRIGGER model_version_tags_row_gone AFTER DELETE ON model_version_tags BEGIN
            UPDATE project_rows SET size = size - (200 + coalesce(length(CAST(OLD."key" AS BLOB)), 0) + coalesce(length(CAST(OLD."value" AS BLOB)), 0)) WHERE slot = 0 AND project_id = (SELECT project_id FROM model_versions WHERE id = OLD.model_version_id);
        END;
CREATE TRIGGER model_version_tags_row_changed AFTER UPDATE OF "key", "value" ON model_version_tags BEGIN
                UPDATE project_rows SET size = size + (200 + coalesce(length(CAST(NEW."key" AS BLOB)), 0) + coalesce(length(CAST(NEW."value" AS BLOB)), 0)) - (200 + coalesce(length(CAST(OLD."key" AS BLOB)), 0) + coalesce(length(CAST(OLD."value" AS BLOB)), 0)) WHERE slot = 0 AND project_id = (SELECT project_id FROM model_versions WHERE id = NEW.model_version_id);
            END;
CREATE TRIGGER logged_model_tags_row_added AFTER INSERT ON logged_model_tags BEGIN
            INSERT INTO project_rows (project_id, slot, size) SELECT id, 0, 200 + coalesce(length(CAST(NEW."key" AS BLOB)), 0) + coalesce(length(CAST(NEW."value" AS BLOB)), 0) FROM projects WHERE id = (SELECT project_id FROM logged_models WHERE id = NEW.logged_model_id)
            ON CONFLICT (project_id, slot) DO UPDATE SET size = project_rows.size + excluded.size;
        END;
CREATE TRIGGER logged_model_tags_row_gone AFTER DELETE ON logged_model_tags BEGIN
            UPDATE project_rows SET size = size - (200 + coalesce(length(CAST(OLD."key" AS BLOB)), 0) + coalesce(length(CAST(OLD."value" AS BLOB)), 0)) WHERE slot = 0 AND project_id = (SELECT project_id FROM logged_models WHERE id = OLD.logged_model_id);
        END;
CREATE TRIGGER logged_model_tags_row_changed AFTER UPDATE OF "key", "value" ON logged_model_tags BEGIN
                UPDATE project_rows SET size = size + (200 + coalesce(length(CAST(NEW."key" AS BLOB)), 0) + coalesce(length(CAST(NEW."value" AS BLOB)), 0)) - (200 + coalesce(length(CAST(OLD."key" AS BLOB)), 0) + coalesce(length(CAST(OLD."value" AS BLOB)), 0)) WHERE slot = 0 AND project_id = (SELECT project_id FROM logged_models WHERE id = NEW.logged_model_id);
            END;
CREATE TRIGGER logged_model_params_row_added AFTER INSERT ON logged_model_params BEGIN
            INSERT INTO project_rows (project_id, slot, size) SELECT id, 0, 200 + coalesce(length(CAST(NEW."key" AS BLOB)), 0) + coalesce(length(CAST(NEW."value" AS BLOB)), 0) FROM projects WHERE id = (SELECT project_id FROM logged_models WHERE id = NEW.logged_model_id)
            ON CONFLICT (project_id, slot) DO UPDATE SET size = project_rows.size + excluded.size;
        END;
CREATE TRIGGER logged_model_params_row_gone AFTER DELETE ON logged_model_params BEGIN
            UPDATE project_rows SET size = size - (200 + coalesce(length(CAST(OLD."key" AS BLOB)), 0) + coalesce(length(CAST(OLD."value" AS BLOB)), 0)) WHERE slot = 0 AND project_id = (SELECT project_id FROM logged_models WHERE id = OLD.logged_model_id);
        END;
CREATE TRIGGER logged_model_params_row_changed AFTER UPDATE OF "key", "value" ON logged_model_params BEGIN
                UPDATE project_rows SET size = size + (200 + coalesce(length(CAST(NEW."key" AS BLOB)), 0) + coalesce(length(CAST(NEW."value" AS BLOB)), 0)) - (200 + coalesce(length(CAST(OLD."key" AS BLOB)), 0) + coalesce(length(CAST(OLD."value" AS BLOB)), 0)) WHERE slot = 0 AND project_id = (SELECT project_id FROM logged_models WHERE id = NEW.logged_model_id);
            END;
CREATE TRIGGER mark_users_update AFTER UPDATE ON users WHEN OLD.username IS NOT NEW.username OR OLD.state IS NOT NEW.state OR OLD.admin IS NOT NEW.admin OR OLD.bot IS NOT NEW.bot BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'user ' || OLD.id AS scope  UNION SELECT 'user ' || NEW.id AS scope ) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_users_delete AFTER DELETE ON users  BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'user ' || OLD.id AS scope ) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_tokens_update AFTER UPDATE ON tokens WHEN OLD.user_id IS NOT NEW.user_id OR OLD.project_id IS NOT NEW.project_id OR OLD.maker_id IS NOT NEW.maker_id OR OLD.kind IS NOT NEW.kind OR OLD.digest IS NOT NEW.digest OR OLD.scopes IS NOT NEW.scopes OR OLD.expires_at IS NOT NEW.expires_at OR OLD.revoked_at IS NOT NEW.revoked_at BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'user ' || OLD.user_id AS scope  UNION SELECT 'user ' || NEW.user_id AS scope ) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_tokens_delete AFTER DELETE ON tokens  BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'user ' || OLD.user_id AS scope ) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_projects_update AFTER UPDATE ON projects WHEN OLD.path IS NOT NEW.path OR OLD.namespace_path IS NOT NEW.namespace_path OR OLD.path_key IS NOT NEW.path_key OR OLD.visibility IS NOT NEW.visibility OR OLD.storage_limit IS NOT NEW.storage_limit BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || OLD.id AS scope  UNION SELECT 'project ' || NEW.id AS scope ) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_projects_delete AFTER DELETE ON projects  BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || OLD.id AS scope ) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_members_insert AFTER INSERT ON members  BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || NEW.project_id AS scope ) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_members_update AFTER UPDATE ON members WHEN OLD.project_id IS NOT NEW.project_id OR OLD.user_id IS NOT NEW.user_id OR OLD.access_level IS NOT NEW.access_level OR OLD.expires_at IS NOT NEW.expires_at BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || OLD.project_id AS scope  UNION SELECT 'project ' || NEW.project_id AS scope ) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_members_delete AFTER DELETE ON members  BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || OLD.project_id AS scope ) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_candidates_update AFTER UPDATE ON candidates WHEN OLD.project_id IS NOT NEW.project_id OR OLD.iid IS NOT NEW.iid OR OLD.model_version_id IS NOT NEW.model_version_id BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || OLD.project_id AS scope  UNION SELECT 'project ' || NEW.project_id AS scope ) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_candidates_delete AFTER DELETE ON candidates  BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || OLD.project_id AS scope ) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_logged_models_update AFTER UPDATE ON logged_models WHEN OLD.project_id IS NOT NEW.project_id OR OLD.eid IS NOT NEW.eid BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || OLD.project_id AS scope  UNION SELECT 'project ' || NEW.project_id AS scope ) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_logged_models_delete AFTER DELETE ON logged_models  BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || OLD.project_id AS scope ) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_models_insert AFTER INSERT ON models  BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || NEW.project_id AS scope ) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_models_update AFTER UPDATE ON models WHEN OLD.project_id IS NOT NEW.project_id OR OLD.name IS NOT NEW.name OR OLD.created_at IS NOT NEW.created_at BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || OLD.project_id AS scope  UNION SELECT 'project ' || NEW.project_id AS scope ) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_models_delete AFTER DELETE ON models  BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || OLD.project_id AS scope ) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_model_versions_insert AFTER INSERT ON model_versions  BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || NEW.project_id AS scope ) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_model_versions_update AFTER UPDATE ON model_versions WHEN OLD.project_id IS NOT NEW.project_id OR OLD.model_id IS NOT NEW.model_id OR OLD.version IS NOT NEW.version OR OLD.major IS NOT NEW.major OR OLD.minor IS NOT NEW.minor OR OLD.patch IS NOT NEW.patch OR OLD.prerelease IS NOT NEW.prerelease OR OLD.created_at IS NOT NEW.created_at BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || OLD.project_id AS scope  UNION SELECT 'project ' || NEW.project_id AS scope ) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_model_versions_delete AFTER DELETE ON model_versions  BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || OLD.project_id AS scope ) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_model_aliases_insert AFTER INSERT ON model_aliases  BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || models.project_id AS scope FROM models WHERE models.id = NEW.model_id) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_model_aliases_update AFTER UPDATE ON model_aliases WHEN OLD.model_id IS NOT NEW.model_id OR OLD.alias IS NOT NEW.alias OR OLD.model_version_id IS NOT NEW.model_version_id BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || models.project_id AS scope FROM models WHERE models.id = OLD.model_id UNION SELECT 'project ' || models.project_id AS scope FROM models WHERE models.id = NEW.model_id) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_model_aliases_delete AFTER DELETE ON model_aliases  BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || models.project_id AS scope FROM models WHERE models.id = OLD.model_id) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_packages_insert AFTER INSERT ON packages  BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || NEW.project_id AS scope ) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_packages_update AFTER UPDATE ON packages WHEN OLD.project_id IS NOT NEW.project_id OR OLD.model_version_id IS NOT NEW.model_version_id OR OLD.candidate_id IS NOT NEW.candidate_id OR OLD.logged_model_id IS NOT NEW.logged_model_id BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || OLD.project_id AS scope  UNION SELECT 'project ' || NEW.project_id AS scope ) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_packages_delete AFTER DELETE ON packages  BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || OLD.project_id AS scope ) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_package_files_insert AFTER INSERT ON package_files  BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || packages.project_id AS scope FROM packages WHERE packages.id = NEW.package_id) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_package_files_update AFTER UPDATE ON package_files WHEN OLD.package_id IS NOT NEW.package_id OR OLD.name IS NOT NEW.name OR OLD.sha256 IS NOT NEW.sha256 OR OLD.size IS NOT NEW.size OR OLD.created_at IS NOT NEW.created_at BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || packages.project_id AS scope FROM packages WHERE packages.id = OLD.package_id UNION SELECT 'project ' || packages.project_id AS scope FROM packages WHERE packages.id = NEW.package_id) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_package_files_delete AFTER DELETE ON package_files  BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || packages.project_id AS scope FROM packages WHERE packages.id = OLD.package_id) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_commits_update AFTER UPDATE ON commits WHEN OLD.oid IS NOT NEW.oid OR OLD.model_version_id IS NOT NEW.model_version_id OR OLD.changed_at IS NOT NEW.changed_at BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || model_versions.project_id AS scope FROM model_versions WHERE model_versions.id = OLD.model_version_id UNION SELECT 'project ' || model_versions.project_id AS scope FROM model_versions WHERE model_versions.id = NEW.model_version_id) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_commits_delete AFTER DELETE ON commits  BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'project ' || model_versions.project_id AS scope FROM model_versions WHERE model_versions.id = OLD.model_version_id) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_blobs_update AFTER UPDATE ON blobs WHEN OLD.damaged_at IS NOT NEW.damaged_at BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'damage' AS scope  UNION SELECT 'damage' AS scope ) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
CREATE TRIGGER mark_blobs_delete AFTER DELETE ON blobs  BEGIN INSERT INTO marks (scope, slot, mark) SELECT scope, 0, 1 + (random() & 0xFFFFFFFFFFFF) FROM (SELECT 'forgotten blobs' AS scope ) WHERE true ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark; END;
INSERT INTO "alembic_version" VALUES ('0022');
INSERT INTO "sqlite_sequence" VALUES ('candidate_metrics', 0);
INSERT INTO "sqlite_sequence" VALUES ('model_versions', 0);
INSERT INTO "sqlite_sequence" VALUES ('packages', 0);
INSERT INTO "sqlite_sequence" VALUES ('experiments', 0);
