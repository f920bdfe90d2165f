import type { CodegenConfig } from '@graphql-codegen/cli';

const config: CodegenConfig = {
  schema: '../graph/schema.graphqls',
  documents: 'src/api/*.graphql',
  generates: {
    'src/gen/graphql.ts': {
      plugins: ['typescript', 'typescript-operations', 'typed-document-node'],
      config: {
        strictScalars: true,
        useTypeImports: true,
        enumsAsTypes: true,
        onlyOperationTypes: true,
        skipTypename: true,
        scalars: { Time: 'string', Duration: 'string', Decimal: 'string', JSON: 'unknown' },
      },
    },
  },
};

export default config;
